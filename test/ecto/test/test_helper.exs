# The peer nodes and this one speak over the loopback only.
{_, 0} = System.cmd("epmd", ["-daemon"])
{:ok, _} = Node.start(:"real_ecto_#{System.pid()}@127.0.0.1", :longnames)
Node.set_cookie(:"real_ecto_#{System.pid()}")

ExUnit.after_suite(fn %{
                        total: total,
                        failures: failed,
                        skipped: skipped,
                        excluded: excluded
                      } ->
  skipped = skipped + excluded

  IO.puts(
    "#{total - failed - skipped} passed, #{failed} failed, #{skipped} skipped"
  )
end)

ExUnit.start(capture_log: true)
