{#- Rows outside the inclusive limits `min` and `max` (either may be left out).
    NULL passes only with allow_null: a comparison alone would always let it. -#}
{% test within_range(model, column_name, min=none, max=none, allow_null=false) %}
select {{ column_name }}
from {{ model }}
where
    {{ column_name ~ " < " ~ min if min is not none else "false" }}
    or {{ column_name ~ " > " ~ max if max is not none else "false" }}
    or {{ column_name ~ " is null" if not allow_null else "false" }}
{% endtest %}
