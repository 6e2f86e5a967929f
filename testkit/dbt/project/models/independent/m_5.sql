-- One of eight that need nothing of each other.
select
    id % 97 as bucket,
    count(*) as entries,
    sum({{ chance('id', 'm_5', 1000) }}) as total
from range(1, {{ var('employees') }} * 10 + 1) as generated(id)
group by bucket
