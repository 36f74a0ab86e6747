defmodule Demo.Repos do
  @moduledoc """
  Repos with `use EctoLiteFS.Repo`, compiled with warnings as errors: what it
  generates must not warn. They only say what they were called with.
  """

  defmodule Like do
    @moduledoc "What `use Ecto.Repo` leaves in a Repo, as far as it matters here."

    @callback transaction(term, list) :: term
    @callback transact(term, list) :: term
    @callback get_dynamic_repo() :: atom
    @optional_callbacks transact: 2

    defmacro __using__(options) do
      quote do
        @behaviour Demo.Repos.Like
        @before_compile Demo.Repos.Like

        def transaction(work, opts \\ []), do: {:transaction, work, opts}
        def get_dynamic_repo, do: __MODULE__
        defoverridable get_dynamic_repo: 0
        def insert_all(schema, rows, opts \\ []), do: {:insert_all, schema, rows, opts}
        def update_all(query, updates, opts \\ []), do: {:update_all, query, updates, opts}
        def delete_all(query, opts \\ []), do: {:delete_all, query, opts}

        if unquote(options[:transact]) do
          def transact(work, opts \\ []), do: {:transact, work, opts}
        end
      end
    end

    # an SQL adapter defines these at the end of the module
    defmacro __before_compile__(_env) do
      quote do
        def query(sql, params \\ [], opts \\ []), do: {:query, sql, params, opts}
        def query!(sql, params \\ [], opts \\ []), do: {:query!, sql, params, opts}
      end
    end
  end

  defmodule New do
    @moduledoc "As with Ecto 3.13."
    use Demo.Repos.Like, transact: true
    use EctoLiteFS.Repo
  end

  defmodule Old do
    @moduledoc "As before, and with overrides of the user's own."
    use Demo.Repos.Like, transact: false
    use EctoLiteFS.Repo

    # without @impl on ours the compiler must not ask for it
    @impl Demo.Repos.Like
    def get_dynamic_repo, do: :of_the_user

    @impl Demo.Repos.Like
    def transaction(work, opts), do: {:of_the_user, super(work, opts)}
  end
end
