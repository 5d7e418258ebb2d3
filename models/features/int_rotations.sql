-- Who of a team's rotation is there tonight and who is missing. Only players who
-- carry 20 minutes or more count: who of the bench stays out is decided during the
-- game, so that it would tell how the game went.
with

player_games as (
    select * from {{ ref('int_player_games') }}
),

known_games as (
    select * from {{ ref('int_availability_sources') }}
    where availability_source <> 'none'
),

-- the load that a player carries: what he does in a game of late
present as (
    select
        player_games.game_id,
        player_games.team_abbr,
        player_games.player_lookup,
        true as is_present,
        false as is_newly_absent,
        {{ exact('averages.minutes_ewma_5') }} as minutes_load,
        {{ exact('averages.fg_attempts_ewma_5') }} as attempts_load,
        {{ exact('averages.points_ewma_5') }} as points_load
    from player_games
    inner join {{ ref('int_player_averages') }} as averages
        on
            player_games.player_lookup = averages.player_lookup
            and player_games.game_id = averages.game_id
    where player_games.games_played_prior > 3
),

-- who appeared in 3 or more of the team's last 15 games of this season
regulars as (
    select
        pairs.game_id,
        pairs.team_abbr,
        player_games.player_lookup,
        min(pairs.games_back) = 1 as is_of_last_game,
        {{ exact(exact_mean('player_games.minutes_played')) }} as minutes_load,
        {{ exact(exact_mean('player_games.fg_attempts')) }} as attempts_load,
        {{ exact(exact_mean('player_games.points')) }} as points_load
    from {{ ref('int_team_game_pairs') }} as pairs
    inner join player_games
        on
            pairs.earlier_game_id = player_games.game_id
            and pairs.team_abbr = player_games.team_abbr
    where
        pairs.games_back <= 15
        and pairs.is_same_season
    group by pairs.game_id, pairs.team_abbr, player_games.player_lookup
    having count(*) >= 3
),

absent as (
    select
        regulars.game_id,
        regulars.team_abbr,
        regulars.player_lookup,
        false as is_present,
        regulars.is_of_last_game as is_newly_absent,
        regulars.minutes_load,
        regulars.attempts_load,
        regulars.points_load
    from regulars
    left join player_games
        on
            regulars.game_id = player_games.game_id
            and regulars.player_lookup = player_games.player_lookup
    where player_games.player_lookup is null
),

counted as (
    select * from present
    where minutes_load >= {{ var('rotation_minutes') }}
    union all
    select * from absent
    where minutes_load >= {{ var('rotation_minutes') }}
),

final as (
    select counted.*
    from counted
    inner join known_games
        on
            counted.game_id = known_games.game_id
            and counted.team_abbr = known_games.team_abbr
)

select * from final
