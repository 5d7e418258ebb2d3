-- Box scores that keep the contract and were known at the clock.
with

-- the schedule knows the kind of a game where the box score does not say
box_scores as (
    select
        box_scores.*,
        coalesce(games.season_year, box_scores.season_year) as known_season_year,
        coalesce(games.season_type, box_scores.season_type) as known_season_type
    from {{ ref('base_player_game_summary') }} as box_scores
    left join {{ ref('stg_game_schedule') }} as games
        on box_scores.game_id = games.game_id
),

final as (
    select
        ---------- ids
        game_id,
        player_lookup,
        player_full_name,
        team_abbr,
        opponent_team_abbr,

        ---------- when
        game_date,
        known_season_year as season_year,
        known_season_type as season_type,

        ---------- box score
        is_played,
        is_partial,
        {{ exact('minutes_played') }} as minutes_played,
        points,
        offensive_rebounds,
        turnovers,
        fg_attempts,
        fg_makes,
        three_pt_attempts,
        three_pt_makes,
        ft_attempts,
        ft_makes,
        case when usage_rate <= 100 then {{ exact('usage_rate') }} end
            as usage_rate,

        ---------- shot zones
        paint_attempts,
        paint_makes,
        mid_range_attempts,
        mid_range_makes,
        coalesce(three_attempts_pbp, three_pt_attempts) as three_attempts,
        coalesce(three_makes_pbp, three_pt_makes) as three_makes,
        coalesce(
            paint_attempts is not null
            and mid_range_attempts is not null
            and abs(
                paint_attempts
                + mid_range_attempts
                + coalesce(three_attempts_pbp, three_pt_attempts)
                - fg_attempts
            ) <= 1
            and coalesce(has_complete_shot_zones, true)
            and not coalesce(shot_zones_estimated, false),
            false
        ) as has_complete_zones,
        assisted_fg_makes,
        unassisted_fg_makes

    from box_scores
    where
        rejection_reason is null
        and game_date < {{ as_of_date() }}
)

select * from final
