-- How the line-up of a team-game differs from those of the games before it: the
-- minutes of the players who are there in one of the two games only.
with

pairs as (
    select * from {{ ref('int_team_game_pairs') }}
),

appearances as (
    select * from {{ ref('int_player_games') }}
    where is_window_game
),

final as (
    select
        pairs.game_id,
        pairs.team_abbr,
        pairs.earlier_game_id,
        pairs.games_back,
        sum(
            case
                when rotations.is_present = (appearances.game_id is not null)
                    then 0
                else rotations.minutes_load
            end
        ) as minutes_that_differ
    from pairs
    inner join {{ ref('int_rotations') }} as rotations
        on
            pairs.game_id = rotations.game_id
            and pairs.team_abbr = rotations.team_abbr
    left join appearances
        on
            pairs.earlier_game_id = appearances.game_id
            and pairs.team_abbr = appearances.team_abbr
            and rotations.player_lookup = appearances.player_lookup
    group by
        pairs.game_id, pairs.team_abbr, pairs.earlier_game_id, pairs.games_back
)

select * from final
