-- Everybody's grade gives a raise; one in ten is promoted.
select
    s.year,
    s.employee_id,
    least(s.grade + ({{ chance('s.employee_id', 'promotion ' ~ var('year'), 10) }} = 0)::integer, 5) as grade,
    (s.salary * (100 + g.raise_percent) / 100)::decimal(12, 2) as salary
from {{ ref('sim_staff') }} as s
join {{ ref('stg_pay_grades') }} as g using (grade)
where s.year = {{ var('year') }}
