select
    e.employee_id,
    e.name,
    d.department,
    g.title,
    e.grade,
    e.hired_on,
    (g.base_salary * (100 + {{ chance('e.employee_id', 'salary', 20) }}) / 100)::decimal(12, 2) as salary
from {{ ref('stg_employees') }} as e
join {{ ref('stg_departments') }} as d using (department_id)
join {{ ref('stg_pay_grades') }} as g using (grade)
