{#- Values that do not match a regular expression. NULL is the business of not_null. -#}
{% test matches_pattern(model, column_name, pattern) %}
select {{ column_name }}
from {{ model }}
where not {{ matches(column_name, pattern) }}
{% endtest %}
