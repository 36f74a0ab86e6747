[inputs: ["mix.exs", "lib/**/*.ex", "test/**/*.exs"]]
