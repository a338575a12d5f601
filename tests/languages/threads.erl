#!/usr/bin/env escript
%%! +S 4 +SDio 4
%% Compiled code keeps its stack pointer in the midst of the process's data. Processes on several schedulers,
%% timers, sockets, ports, files, garbage, exceptions, signals.
-mode(compile).

main(_) ->
    Numbers = lists:seq(1, 30),
    show("computed", lists:sum(all(fun(_) -> fib(28) end, Numbers))),
    show("garbage", lists:usort(all(fun(_) -> churn(200) end, lists:seq(1, 8)))),

    First = lists:foldl(fun(_, Next) -> spawn(fun() -> pass_on(Next) end) end, self(), lists:seq(1, 5000)),
    First ! {token, 0},
    show("ring", receive {token, Hops} -> Hops end),

    [erlang:send_after(N rem 100, self(), {timer, N}) || N <- lists:seq(1, 2000)],
    show("timers", lists:sum([receive {timer, N} -> N end || _ <- lists:seq(1, 2000)])),

    {ok, Listener} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}, {backlog, 200}]),
    {ok, Port} = inet:port(Listener),
    spawn(fun() -> serve(Listener) end),
    show("echoed", lists:sum(all(fun(N) -> ask(Port, N) end, lists:seq(1, 40)))),

    show("commands", lists:usort(all(fun(N) -> os:cmd("echo " ++ integer_to_list(N)) =:= integer_to_list(N) ++ "\n" end,
                                     Numbers))),
    Failing = open_port({spawn, "sh -c 'exit 3'"}, [exit_status]),
    show("exit status", receive {Failing, {exit_status, Status}} -> Status end),
    Sleeping = open_port({spawn, "sleep 100"}, [exit_status]),
    {os_pid, Pid} = erlang:port_info(Sleeping, os_pid),
    os:cmd("kill -9 " ++ integer_to_list(Pid)),
    show("killed", receive {Sleeping, {exit_status, Killed}} -> Killed end),

    Directory = os:getenv("TMPDIR", "/tmp") ++ "/threads_erl." ++ os:getpid(),
    ok = file:make_dir(Directory),
    show("files", lists:sum(all(fun(N) -> through_file(Directory, N) end, Numbers))),
    ok = file:del_dir(Directory),

    process_flag(trap_exit, true),
    logger:set_primary_config(level, none),
    [spawn_link(fun() -> 1 / (N - N) end) || N <- lists:seq(1, 100)],
    show("exceptions", length([receive {'EXIT', _, {badarith, _}} -> caught end || _ <- lists:seq(1, 100)])),

    ok = os:set_signal(sigusr1, ignore),
    os:cmd("kill -USR1 " ++ os:getpid()),
    erlang:system_flag(multi_scheduling, block),
    erlang:system_flag(multi_scheduling, unblock),
    io:format("end~n"),
    halt(0).

show(What, Result) -> io:format("~s ~p~n", [What, Result]).

%% Work(Item) of each item, in a process each.
all(Work, Items) ->
    Self = self(),
    Workers = [spawn(fun() -> Self ! {self(), Work(Item)} end) || Item <- Items],
    [receive {Worker, Result} -> Result end || Worker <- Workers].

fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).

churn(0) -> done;
churn(Rounds) ->
    3000 = length(lists:sort([{N * 7919 rem 3001, [N]} || N <- lists:seq(1, 3000)])),
    churn(Rounds - 1).

pass_on(Next) -> receive {token, Hops} -> Next ! {token, Hops + 1} end.

serve(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Server = spawn(fun() -> receive yours -> echo(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Server),
    Server ! yours,
    serve(Listener).

echo(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Data} -> ok = gen_tcp:send(Socket, Data), echo(Socket);
        {error, closed} -> gen_tcp:close(Socket)
    end.

ask(Port, N) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    Data = binary:copy(<<N>>, 1000),
    Sizes = [begin ok = gen_tcp:send(Socket, Data), {ok, Data} = gen_tcp:recv(Socket, 1000), byte_size(Data) end
             || _ <- lists:seq(1, 50)],
    ok = gen_tcp:close(Socket),
    lists:sum(Sizes).

through_file(Directory, N) ->
    Name = Directory ++ "/" ++ integer_to_list(N),
    ok = file:write_file(Name, binary:copy(<<N>>, 100000)),
    {ok, Data} = file:read_file(Name),
    ok = file:delete(Name),
    byte_size(Data).
