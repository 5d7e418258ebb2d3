-- The depth chart: a player among the others of the rotation who are there tonight,
-- and how that differs from the games for this team that his averages come from.
with

player_games as (
    select
        player_games.player_lookup,
        player_games.game_id,
        player_games.team_abbr,
        player_games.games_played_prior,
        player_games.is_window_game,
        {{ exact('averages.minutes_ewma_5') }} as minutes_load,
        {{ exact('averages.fg_attempts_ewma_5') }} as attempts_load,
        {{ exact('averages.points_ewma_5') }} as points_load
    from {{ ref('int_player_games') }} as player_games
    inner join {{ ref('int_player_averages') }} as averages
        on
            player_games.player_lookup = averages.player_lookup
            and player_games.game_id = averages.game_id
    inner join {{ ref('int_availability_sources') }} as sources
        on
            player_games.game_id = sources.game_id
            and player_games.team_abbr = sources.team_abbr
    where
        sources.availability_source <> 'none'
        and averages.minutes_ewma_5 is not null
),

others as (
    select
        player_games.player_lookup,
        player_games.game_id,
        coalesce(sum(rotations.minutes_load), 0) as minutes_of_others,
        coalesce(sum(rotations.attempts_load), 0) as attempts_of_others,
        coalesce(sum(rotations.points_load), 0) as points_of_others,
        coalesce(
            sum(
                case
                    when rotations.minutes_load > player_games.minutes_load
                        then rotations.minutes_load
                end
            ),
            0
        ) as minutes_above,
        coalesce(
            sum(
                case
                    when rotations.points_load > player_games.points_load
                        then rotations.points_load
                end
            ),
            0
        ) as points_above,
        1
        + count(
            case
                when rotations.minutes_load > player_games.minutes_load then 1
            end
        ) as minutes_rank,
        1
        + count(
            case
                when rotations.points_load > player_games.points_load then 1
            end
        ) as points_rank
    from player_games
    left join {{ ref('int_rotations') }} as rotations
        on
            player_games.game_id = rotations.game_id
            and player_games.team_abbr = rotations.team_abbr
            and player_games.player_lookup <> rotations.player_lookup
            and rotations.is_present
    group by player_games.player_lookup, player_games.game_id
),

roles as (
    select
        player_games.*,
        others.minutes_of_others,
        others.attempts_of_others,
        others.points_of_others,
        others.minutes_above,
        others.points_above,
        others.minutes_rank,
        others.points_rank,
        {{ share_of('minutes_load', 'minutes_of_others') }} as minutes_share,
        {{ share_of('attempts_load', 'attempts_of_others') }} as attempts_share,
        {{ share_of('points_load', 'points_of_others') }} as points_share
    from player_games
    inner join others
        on
            player_games.player_lookup = others.player_lookup
            and player_games.game_id = others.game_id
),

-- the same quantities as they were on average in the player's own games for the team
usual as (
    select
        player_lookup,
        game_id,
        {{ exponential_mean(
            'case when is_window_game then minutes_above end',
            8, entity=['player_lookup', 'team_abbr']
        ) }} as minutes_above,
        {{ exponential_mean(
            'case when is_window_game then minutes_rank end',
            8, entity=['player_lookup', 'team_abbr']
        ) }} as minutes_rank,
        {{ exponential_mean(
            'case when is_window_game then minutes_share end',
            8, entity=['player_lookup', 'team_abbr']
        ) }} as minutes_share,
        {{ exponential_mean(
            'case when is_window_game then points_of_others end',
            8, entity=['player_lookup', 'team_abbr']
        ) }} as points_of_others
    from roles
),

final as (
    select
        roles.player_lookup,
        roles.game_id,
        roles.minutes_share,
        roles.attempts_share,
        roles.points_share,
        roles.points_rank,
        roles.minutes_above,
        roles.points_above,
        roles.attempts_of_others,
        roles.points_of_others,
        roles.minutes_above - usual.minutes_above as minutes_above_change,
        roles.minutes_rank - usual.minutes_rank as minutes_rank_change,
        roles.minutes_share - usual.minutes_share as minutes_share_change,
        roles.points_of_others - usual.points_of_others
            as points_of_others_change
    from roles
    inner join usual
        on
            roles.player_lookup = usual.player_lookup
            and roles.game_id = usual.game_id
)

select * from final
