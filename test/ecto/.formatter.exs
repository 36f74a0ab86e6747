[
  inputs: ["*.exs", "{lib,test}/**/*.{ex,exs}"],
  import_deps: [:ecto],
  line_length: 80
]
