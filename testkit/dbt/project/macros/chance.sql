{# A number in [0, below) that depends on nothing but its arguments: the same in every run. #}
{% macro chance(of, salt, below) -%}
    (hash({{ of }}, '{{ salt }}') % {{ below }})::integer
{%- endmacro %}
