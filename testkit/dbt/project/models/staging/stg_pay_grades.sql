select grade, title, base_salary, raise_percent from {{ ref('pay_grades') }}
