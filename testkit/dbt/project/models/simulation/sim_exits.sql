-- One in twelve leaves.
select year, employee_id
from {{ ref('sim_staff') }}
where year = {{ var('year') }} and {{ chance('employee_id', 'exit ' ~ var('year'), 12) }} = 0
