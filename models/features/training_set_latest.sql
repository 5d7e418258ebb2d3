-- The training set of the newest version under its plain name.
{{ config(materialized='view', alias='training_set') }}

select * from {{ ref('training_set') }}
