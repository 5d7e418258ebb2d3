-- The newest version of the feature store under its plain name.
{{ config(materialized='view', alias='feature_store') }}

select * from {{ ref('feature_store') }}
