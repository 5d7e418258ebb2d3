-- What a model of version 1 learns from and is judged on.
{{ training_rows(1) }}
