"""Studies of Liang et al. 2022: Mind the Gap."""
