-- As many as left, with numbers that nobody had before.
{% set year = var('year') | int %}
select
    {{ year }} as year,
    ({{ var('employees') }} * ({{ year }} - {{ var('first_year') }} + 1) + row_number() over (order by employee_id))::integer
        as employee_id,
    1 as grade,
    48000::decimal(12, 2) as salary
from {{ ref('sim_exits') }}
where year = {{ year }}
