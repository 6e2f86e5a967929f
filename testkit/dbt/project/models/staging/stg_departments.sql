select department_id, department, cost_center from {{ ref('departments') }}
