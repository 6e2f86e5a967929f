-- Who works here at the start of the year: the staff as it is in the first one, later who stayed and who was hired.
{% set year = var('year') | int %}
{% if year <= var('first_year') | int %}
select {{ year }} as year, employee_id, grade, salary from {{ ref('employees') }}
{% else %}
select {{ year }} as year, employee_id, grade, salary from {{ source('simulated', 'sim_year_end') }}
where year = {{ year - 1 }}
{% endif %}
