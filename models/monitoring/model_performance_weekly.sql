-- How good each model was in each week, beside the baselines on identical rows.
{{ model_performance('week_start', week_start('game_date')) }}
