-- The staff, generated: employee_id decides everything else.
select
    id::integer as employee_id,
    'Employee ' || id as name,
    1 + {{ chance('id', 'department', 8) }} as department_id,
    1 + least({{ chance('id', 'grade', 7) }}, 4) as grade,
    date '2010-01-01' + {{ chance('id', 'hired', 5000) }} as hired_on
from range(1, {{ var('employees') }} + 1) as generated(id)
