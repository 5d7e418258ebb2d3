-- How it is known who plays for a team in a game: who appeared, once it was played;
-- before, a report; without one nobody knows.
with

team_games as (
    select * from {{ ref('int_team_games') }}
),

reported as (
    select distinct
        game_id,
        team_abbr
    from {{ ref('stg_player_availability') }}
),

final as (
    select
        team_games.game_id,
        team_games.team_abbr,
        case
            when not team_games.is_scheduled then 'box_score'
            when reported.game_id is not null then 'report'
            else 'none'
        end as availability_source
    from team_games
    left join reported
        on
            team_games.game_id = reported.game_id
            and team_games.team_abbr = reported.team_abbr
)

select * from final
