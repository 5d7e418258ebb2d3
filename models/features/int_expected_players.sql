-- Who is expected to play in the upcoming games: by the availability report
-- where there is one, else those who played for the team in its last 10 games
-- and for no other team since.
with

upcoming_games as (
    select * from {{ ref('int_upcoming_games') }}
),

upcoming_teams as (
    select
        game_id,
        home_team_abbr as team_abbr
    from upcoming_games
    union all
    select
        game_id,
        away_team_abbr as team_abbr
    from upcoming_games
),

-- a report on a team that does not play this game is none
reports as (
    select reports.*
    from {{ ref('stg_player_availability') }} as reports
    inner join upcoming_teams
        on
            reports.game_id = upcoming_teams.game_id
            and reports.team_abbr = upcoming_teams.team_abbr
),

-- a report that names expected players is a full list; one that names only
-- doubts and absences corrects the list of recent players
full_reports as (
    select distinct
        game_id,
        team_abbr
    from reports
    where status = 'expected'
),

played as (
    select
        player_lookup,
        team_abbr,
        game_id,
        game_date
    from {{ ref('stg_player_game_summary') }}
    where is_played
),

last_appearance as (
    select
        player_lookup,
        team_abbr,
        game_id,
        row_number() over (
            partition by player_lookup
            order by game_date desc, game_id desc
        ) as recency
    from played
),

team_dates as (
    select distinct
        team_abbr,
        game_id,
        game_date
    from played
),

team_recency as (
    select
        team_abbr,
        game_id,
        row_number() over (
            partition by team_abbr
            order by game_date desc, game_id desc
        ) as recency
    from team_dates
),

recent_players as (
    select
        last_appearance.player_lookup,
        last_appearance.team_abbr
    from last_appearance
    inner join team_recency
        on
            last_appearance.team_abbr = team_recency.team_abbr
            and last_appearance.game_id = team_recency.game_id
    where
        last_appearance.recency = 1
        and team_recency.recency <= 10
),

candidates as (
    select
        upcoming_teams.game_id,
        upcoming_teams.team_abbr,
        recent_players.player_lookup,
        'recent_games' as expected_by
    from upcoming_teams
    inner join recent_players
        on upcoming_teams.team_abbr = recent_players.team_abbr
    left join full_reports
        on
            upcoming_teams.game_id = full_reports.game_id
            and upcoming_teams.team_abbr = full_reports.team_abbr
    left join reports
        on
            upcoming_teams.game_id = reports.game_id
            and recent_players.player_lookup = reports.player_lookup
    where
        full_reports.game_id is null
        and reports.game_id is null

    union all

    select
        upcoming_teams.game_id,
        upcoming_teams.team_abbr,
        reports.player_lookup,
        'availability_report' as expected_by
    from upcoming_teams
    inner join reports
        on
            upcoming_teams.game_id = reports.game_id
            and upcoming_teams.team_abbr = reports.team_abbr
    where reports.status in ('expected', 'questionable')
)

select * from candidates
