select department, count(*) as headcount, sum(salary)::decimal(18, 2) as payroll
from {{ ref('employees') }}
group by department
order by department
