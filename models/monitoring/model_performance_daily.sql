-- How good each model was on each game day, beside the baselines on identical rows.
{{ model_performance('game_date', 'game_date') }}
