select year, count(*) as headcount, sum(salary)::decimal(18, 2) as payroll, avg(grade) as grade
from {{ ref('sim_year_end') }}
where year = {{ var('year') }}
group by year
