defmodule RealEcto.ApiTest do
  @moduledoc "What an Elixir programmer does with the modules themselves."
  use ExUnit.Case, async: true

  defmodule Unsupervised do
    use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
  end

  describe "EctoLiteFS.Error" do
    test "is an exception like any other" do
      assert_raise EctoLiteFS.Error, fn -> raise EctoLiteFS.Error end

      assert_raise EctoLiteFS.Error, "by hand", fn ->
        raise EctoLiteFS.Error, "by hand"
      end

      error =
        EctoLiteFS.Error.exception(
          reason: :primary_unavailable,
          action: :insert!,
          repo: Unsupervised
        )

      assert is_exception(error, EctoLiteFS.Error)
      assert Exception.message(error) =~ "primary"
      assert Exception.format(:error, error) =~ "** (EctoLiteFS.Error)"
    end

    test "is rescued by name, and inspected" do
      got =
        try do
          raise EctoLiteFS.Error,
            reason: :in_transaction,
            outcome: :not_executed
        rescue
          error in [EctoLiteFS.Error] -> error
        end

      assert got.reason == :in_transaction
      assert inspect(got) =~ "%EctoLiteFS.Error{"
      assert inspect(got) =~ "in_transaction"
    end

    test "has one sentence for every reason" do
      for reason <- [
            :primary_unavailable,
            :in_transaction,
            {:erpc, :timeout, :"a@127.0.0.1"},
            {:erpc, :noconnection, :"a@127.0.0.1"}
          ],
          outcome <- [:not_executed, :unknown] do
        error =
          EctoLiteFS.Error.exception(
            reason: reason,
            outcome: outcome,
            action: :update!,
            repo: Unsupervised,
            node: :"a@127.0.0.1"
          )

        message = Exception.message(error)
        assert String.valid?(message)
        assert message =~ "update!"
        refute message =~ "\n"
      end
    end
  end

  describe "EctoLiteFS.Config" do
    test "is a struct with a field for every option" do
      config = EctoLiteFS.Config.new!(repo: Unsupervised)

      assert %EctoLiteFS.Config{
               repo: Unsupervised,
               mount: :auto,
               primary_wait: 20_000
             } = config

      assert config.primary_file == "/litefs/.primary"
      assert %{config | erpc_timeout: 1}.erpc_timeout == 1
      assert inspect(config) =~ "%EctoLiteFS.Config{"
      assert inspect(config) =~ "repo: RealEcto.ApiTest.Unsupervised"
      assert struct!(EctoLiteFS.Config, repo: Unsupervised) == config
      assert %EctoLiteFS.Config{repo: Unsupervised} == config
    end

    test "wants a repo, in a literal too" do
      assert_raise ArgumentError,
                   "EctoLiteFS.Config requires :repo option",
                   fn ->
                     EctoLiteFS.Config.new!([])
                   end

      assert_raise ArgumentError, fn -> struct!(EctoLiteFS.Config, []) end

      assert_raise ArgumentError, fn ->
        Code.eval_string("%EctoLiteFS.Config{}")
      end
    end

    test "refuses what it does not know" do
      assert_raise KeyError, fn ->
        EctoLiteFS.Config.new!(repo: Unsupervised, pol_interval: 1)
      end
    end

    test "both detection methods can be switched off" do
      config =
        EctoLiteFS.Config.new!(
          repo: Unsupervised,
          poll_interval: :disabled,
          event_stream_url: nil
        )

      assert %{poll_interval: :disabled, event_stream_url: nil} = config
    end
  end

  describe "a Repo without supervisor" do
    test "has no tracker" do
      refute EctoLiteFS.tracker_ready?(Unsupervised)

      assert_raise ArgumentError, fn ->
        EctoLiteFS.get_tracker!(Unsupervised)
      end
    end
  end

  test "the modules are there as Elixir finds them" do
    for module <-
          [
            EctoLiteFS,
            EctoLiteFS.Supervisor,
            EctoLiteFS.Config,
            EctoLiteFS.Middleware
          ] ++
            [EctoLiteFS.Tracker, EctoLiteFS.RPC, EctoLiteFS.Error] do
      assert Code.ensure_loaded?(module)
      # tab completion and `exports` in IEx
      assert is_list(module.module_info(:exports))
    end
  end
end
