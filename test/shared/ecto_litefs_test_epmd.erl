%% For -epmd_module: erl_epmd, but that chosen nodes have another port, which
%% is a proxy's. A node that epmd does not know is not there, proxy or not.
%%
%%   erl ... -epmd_module ecto_litefs_test_epmd
%%   ok = ecto_litefs_test_epmd:redirect('a@127.0.0.1', ProxyPort).
-module(ecto_litefs_test_epmd).

-export([redirect/2]).

%% What net_kernel, the distribution's drivers and net_adm call.
-export([start_link/0]).
-export([register_node/2]).
-export([register_node/3]).
-export([address_please/3]).
-export([port_please/2]).
-export([port_please/3]).
-export([listen_port_please/2]).
-export([names/0]).
-export([names/1]).

%% From now on, for the node that this is called on.
-spec redirect(node(), inet:port_number()) -> ok.
redirect(Node, Port) ->
    [Name, _Host] = string:split(atom_to_list(Node), "@"),
    persistent_term:put({?MODULE, Name}, Port).

-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    erl_epmd:start_link().

-spec register_node(string(), inet:port_number()) -> term().
register_node(Name, Port) ->
    erl_epmd:register_node(Name, Port).

-spec register_node(string(), inet:port_number(), atom()) -> term().
register_node(Name, Port, Driver) ->
    erl_epmd:register_node(Name, Port, Driver).

-spec address_please(string(), term(), inet | inet6) -> term().
address_please(Name, Host, Family) ->
    erl_epmd:address_please(Name, Host, Family).

-spec port_please(atom() | string(), term()) -> term().
port_please(Name, Host) ->
    port_please(Name, Host, infinity).

-spec port_please(atom() | string(), term(), timeout()) -> term().
port_please(Name, Host, Timeout) ->
    case erl_epmd:port_please(Name, Host, Timeout) of
        {port, Port, Version} -> {port, redirected(Name, Port), Version};
        NotThere -> NotThere
    end.

%% Of the node itself.
-spec listen_port_please(atom() | string(), term()) -> term().
listen_port_please(Name, Host) ->
    erl_epmd:listen_port_please(Name, Host).

-spec names() -> term().
names() ->
    {ok, Host} = inet:gethostname(),
    names(Host).

-spec names(term()) -> term().
names(Host) ->
    case erl_epmd:names(Host) of
        {ok, Names} ->
            {ok, [{Name, redirected(Name, Port)} || {Name, Port} <- Names]};
        Error ->
            Error
    end.

redirected(Name, Port) ->
    persistent_term:get({?MODULE, lists:concat([Name])}, Port).
