%%! -noinput
%% What Erlang's own means do: a gen_server in front of a port, and a pool that lends its workers.
%% peers.escript WHAT CALLERS CALLS COMMAND ARG .. prints the median of a call in microseconds, and the calls of a second.
%% peers.escript ets STRIDE COUNT prints what a look-up in a table of so many names takes in microseconds, and how many a second makes.
-module(peers).
-mode(compile).
-behaviour(gen_server).
-export([main/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

main(["ets", Stride, Count]) ->
    {Step, Size} = {list_to_integer(Stride), list_to_integer(Count)},
    Table = ets:new(sessions, [set]),
    Name = fun(N) -> iolist_to_binary(io_lib:format("session ~8..0b", [N])) end,
    [true = ets:insert(Table, {Name(N), N rem 8, 0}) || N <- lists:seq(0, Size - 1)],
    Names = [Name(N * Step rem Size) || N <- lists:seq(0, Size - 1)],
    erlang:garbage_collect(),
    Began = erlang:monotonic_time(nanosecond),
    look_up(Table, Names),
    Took = erlang:monotonic_time(nanosecond) - Began,
    io:format("[~p,~p]~n", [Took / 1000 / Size, Size * 1.0e9 / Took]),
    halt(0);
main([What, Callers, Calls | Command]) ->
    {Many, Count} = {list_to_integer(Callers), list_to_integer(Calls)},
    Servers = servers(What, Command),
    Data = binary:copy(<<7>>, 64),
    Call = case What of
        "pool" -> fun(_) -> transaction(hd(Servers)) end;
        _ -> fun(Nth) -> gen_server:call(lists:nth(Nth rem length(Servers) + 1, Servers), {echo, Data}, infinity) end
    end,
    %% Whoever has answered once is past its start.
    [Call(Nth) || Nth <- lists:seq(1, length(Servers))],
    Self = self(),
    Began = erlang:monotonic_time(nanosecond),
    [spawn_link(fun() -> Self ! {laps, laps(fun() -> Call(Nth) end, Count div Many)} end) || Nth <- lists:seq(1, Many)],
    Laps = lists:sort(lists:append([receive {laps, Of} -> Of end || _ <- lists:seq(1, Many)])),
    Took = erlang:monotonic_time(nanosecond) - Began,
    io:format("[~p,~p]~n", [lists:nth(length(Laps) div 2 + 1, Laps) / 1000, length(Laps) * 1.0e9 / Took]),
    halt(0).

look_up(_, []) -> ok;
look_up(Table, [Name | Names]) ->
    [_] = ets:lookup(Table, Name),
    look_up(Table, Names).

laps(Call, Count) ->
    [begin
         Start = erlang:monotonic_time(nanosecond),
         _ = Call(),
         erlang:monotonic_time(nanosecond) - Start
     end || _ <- lists:seq(1, Count)].

servers("pool", _) ->
    {ok, Pool} = gen_server:start_link(?MODULE, pool, []),
    [Pool];
servers("port", Command) ->
    [element(2, {ok, _} = gen_server:start_link(?MODULE, {port, Command}, []))];
servers("two_ports", Command) ->
    servers("port", Command) ++ servers("port", Command).

%% A worker is lent, asked, and given back.
transaction(Pool) ->
    Worker = gen_server:call(Pool, lend, infinity),
    done = gen_server:call(Worker, nothing, infinity),
    gen_server:cast(Pool, {back, Worker}).

init(worker) -> {ok, worker};
init(pool) ->
    Workers = [element(2, {ok, _} = gen_server:start_link(?MODULE, worker, [])) || _ <- lists:seq(1, 64)],
    {ok, {pool, Workers, queue:new()}};
init({port, [Program | Args]}) ->
    Port = open_port({spawn_executable, os:find_executable(Program)}, [{args, Args}, {packet, 4}, binary]),
    {ok, {port, Port, 0, #{}}}.

handle_call(nothing, _, worker) -> {reply, done, worker};
handle_call(lend, _, {pool, [Worker | Rest], Waiting}) -> {reply, Worker, {pool, Rest, Waiting}};
handle_call(lend, From, {pool, [], Waiting}) -> {noreply, {pool, [], queue:in(From, Waiting)}};
handle_call({echo, Data}, From, {port, Port, Number, Asked}) ->
    true = port_command(Port, [<<Number:64>>, Data]),
    {noreply, {port, Port, Number + 1, Asked#{Number => From}}}.

handle_cast({back, Worker}, {pool, Rest, Waiting}) ->
    case queue:out(Waiting) of
        {empty, _} -> {noreply, {pool, [Worker | Rest], Waiting}};
        {{value, From}, Others} ->
            gen_server:reply(From, Worker),
            {noreply, {pool, Rest, Others}}
    end.

handle_info({Port, {data, <<Number:64, Data/binary>>}}, {port, Port, Next, Asked}) ->
    {From, Others} = maps:take(Number, Asked),
    gen_server:reply(From, Data),
    {noreply, {port, Port, Next, Others}}.
