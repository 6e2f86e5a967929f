-- Grows by the hires that it does not have yet.
{{ config(materialized='incremental', unique_key='employee_id') }}
select employee_id, hired_on, department
from {{ ref('employees') }}
{% if is_incremental() %}
where hired_on > (select max(hired_on) from {{ this }})
{% endif %}
