-- What a model of version 2 learns from and is judged on.
{{ training_rows(2) }}
