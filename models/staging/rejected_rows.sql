-- Box-score rows that break the contract, each with its reason: kept out of
-- everything else, and counted by a test.
with

box_scores as (
    select * from {{ ref('base_player_game_summary') }}
),

final as (
    select
        game_id,
        player_lookup,
        game_date,
        season_year,
        team_abbr,
        opponent_team_abbr,
        minutes_played,
        minutes_text,
        points,
        rejection_reason
    from box_scores
    where rejection_reason is not null
)

select * from final
