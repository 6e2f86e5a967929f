-- Rows that should not be: departments whose payroll is not what their employees earn.
select h.department
from {{ ref('department_headcount') }} as h
join (select department, sum(salary) as earned from {{ ref('employees') }} group by department) as e using (department)
where h.payroll <> e.earned
