-- Who works here at the end of the year, and for what: where the next year starts from.
select r.year, r.employee_id, r.grade, r.salary
from {{ ref('sim_raises') }} as r
where r.year = {{ var('year') }}
    and r.employee_id not in (select employee_id from {{ ref('sim_exits') }} where year = {{ var('year') }})
union all
select year, employee_id, grade, salary from {{ ref('sim_hires') }} where year = {{ var('year') }}
