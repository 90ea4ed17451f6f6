/** Queries of the language's filters. A moment before the base time stands as `@30m@`, with a fraction as `@30m+1ns@`. */

/** Words, phrases, prefixes in the messages of one stream: shown is their number. */
const words = [
  'error', 'Error', 'ERROR', 'err', 'errors', 'i(error)', 'i(ERR*)', 'i("red and")', 'error or errors', 'Error ERROR',
  'error and not Err', 'Err !error', 'Err -error', 'not Err', '!Err and !text', '(error or html) and here',
  '"an error"', '"error here"', '"error her"', '"error her"*', 'err*', '"an err"*', '*', '""', '_msg:""', '_msg:*',
  'über', 'Über', 'ÜBER', 'i(über)', 'i(Größe*)', 'größe', 'gr*', '日本語のテキスト', '日本語*', '"日本語の"', '😀', 'κείμενο', '"Ελληνικά κ"*',
  'foo', 'bar', 'baz', '"foo-bar"', '"foo-bar_baz"', 'bar_baz', '"foo,bar"', '"foo bar"', '"bar foo"', '"-bar"', 'qux',
  '"$15.00"', '15.00', '15', '"(approx)"', 'approx', '{braces}', '"{braces}"', '[brackets]', '"[brackets]"',
  '"<b>"', '"html</b>"', 'html', '"&"', '"\\""', '"\\\\"', "'\"'", '`"`', '"\\t"', '"tab\\there"', '"\\n"', '"line\\nan"',
  '"level=info"', 'level=info', '"msg=\\"hello"', 'hello', 'wor*', '"a=b"', '99', '"99%"', '99%', '"x.log"', 'x.log', 'log',
  '"10.0.0.1"', '10.0.0.1', '10.0.0', '"10.0.0"', '"10.0"*', '0x1f', 'DEADBEEF', '3abc', '2026-11-28', '"2026-11-28T16:31:00Z"',
  '"   leading"', '"trailing   "', '" "', 'x*', '=text', '="text"', '=*', '="12345"', '=12345', '=1*', '="first line"*', '=Err*', '!=12345',
  'exact(12345)', 'exact("first line"*)', 'exact(1*)', 'exact("")', 'in(12345, "[1,2,3]")', 'in()', 'in("")', 'in(*)', 'contains_all(an, error)',
  'contains_all("an error", line)', 'contains_all()', 'contains_all("")', 'contains_any(html, text, 12345)', 'contains_any()',
  'contains_any("")', 'seq(first, last)', 'seq(last, first)', 'seq("an", "error", "here")', 'seq()', 'seq("")', 'seq(foo, foo, foo)',
  'seq(foo, foo, foo, foo)', 're("a.+z")', 're("first.*last")', '~"first.*here"', '~"^first"', '~"^an"', '~"(?m)^an"', '~"here$"',
  '~"(?-s)first.*here"', '~"ERR|html"', '~"(?i)ÜBER"', '!~"e"', '~"\\\\d{5}"', '~`\\d{5}`', '~""', '~".*"', '~".+"', '~"^$"', '~"^.{5}$"',
  'len_range(5, 12)', 'len_range(0, 0)', 'len_range(300, inf)', 'len_range(0x5, 1KiB)', 'len_range(5, 4)',
  'string_range(A, b)', 'string_range("", "0")', 'string_range(a, "")', '>"foo"', '<"["', '>=foo', '<=12345', '>12345', '<12345', 'range(0, 99999)', 'range[12345, 12345]', 'range(12345, 99999]',
  'ipv4_range(10.0.0.0/8)', 'eq_field(_msg)', 'eq_field(n)', 'value_type(string)',
  'error:*', 'nosuch:""', 'nosuch:*', 'nosuch:!*', 'n:5', 'n:=5', 'n:>5', 'n:>=5 n:<8', 'n:<3', 'n:!=5', 'n:!5', 'n:(5 or 6)', 'n:(>2 <5)', 'n:(!>2)', 'n:in(1,2,30)', 'n:range(2, 5)', 'n:range[2, 5)', 'n:range(2, 5]',
  'n:range[-inf, 3]', 'n:range(20, inf)', 'n:len_range(1, 1)', 'parity:e*', 'parity:*', 'parity:"even" n:<5', 'parity:(even n:<5)', 'parity:i(EVEN)', 'parity:!even', 'parity:=od*', 'parity:contains_any(odd, x)', '-parity:even', '!(parity:even or n:>5)',
  'parity:even or n:1 n:odd or n:3', 'not not n:5', 'n:5 or', 'and n:5', '# comment\nn:5 # more\n or n:6', 'n:5 OR n:6', 'n:5 AND parity:odd', 'NOT parity:even n:<9', "n:'5'", 'n:`5`', '"n":5', "'n':5", 'n: 5', 'n :5', 'n:  =5', 'n:= 5', 'parity:~"^e.en$"', 'parity:re("od|x")', 'parity:!~"od"', 'parity:~od', 'parity:not:even', 'parity:-even', 'parity:!=even', 'parity:=""', 'parity:!=""',
  'parity:seq(ev, en)', 'parity:in(odd)', 'n:string_range(1, 2)', 'n:string_range("5", "6")', 'n:>"5"', 'n:>abc', 'n:<abc', '_stream:{app="texts"} n:7', '_stream:{app="other"}',
].map(text => `app:=texts (${text}) | stats count() c, min(n) first, max(n) last, sum(n) s`)

/** The same without parentheses around it, where they would change it. */
const bare = ['error', '*', 'foo or bar', 'not foo', 'status=200', '200', 'GET', '"GET /"', '"/api/v1/items" POST', 'GET*', 'status*', 'user_1', 'x', '{app="odd"}', '{}', '_stream:{}', '_stream_id:*', '_time:*', 'n:3 or level:error', '(((n:3)))', '!n:3', '-GET', '!*', '* or error', '* error'].map(text => `${text} | count() c`)

/** Filters of fields with values of every type. */
const values = [
  'status:200', 'status:20*', 'status:>300', 'status:>=404', 'status:<204', 'status:range[200,301]', 'status:range(200,301)', 'status:in(404,500)', 'status:"404"', 'status:=404', 'status:0404', 'status:404.0', 'status:>1e2', 'status:<0x12c', 'status:>3K', 'status:~"^[45]"', 'status:len_range(3,3)', 'status:!200', 'status:contains_any(200,301)', 'status:contains_all(200)', 'status:seq(2,0)', 'status:string_range(3,5)', 'status:i(200)', 'status:="20"*', 'status:value_type(uint16)', 'status:eq_field(n)', 'status:ipv4_range(0.0.0.0, 0.0.1.0)',
  'took:>500ms', 'took:<=0.1s', 'took:>1s', 'took:range(100ms, 200ms)', 'took:=37ms', 'took:37ms', 'took:3*', 'took:"37"', 'took:37',
  'size:>20KB', 'size:<=1KiB', 'size:range[10KB, 0.02MB]', 'size:>10', 'bytes:>100KB', 'bytes:<1_000', 'bytes:>=1e5', 'bytes:101', 'bytes:=0',
  'ratio:>0', 'ratio:<-1.5', 'ratio:=-3', 'ratio:"-3"', 'ratio:range(-0.5, 0.5)', 'ratio:0.5', 'ratio:-*', 'ratio:*5', 'ratio:2',
  'ip:ipv4_range(10.0.0.0, 10.0.255.255)', 'ip:ipv4_range("10.1.0.0/16")', 'ip:ipv4_range(10.1.5.1)', 'ip:ipv4_range("10.0.0.0/33")', 'ip:ipv4_range(a, b)', 'ip:10.1', 'ip:"10.1.5.1"', 'ip:10.1.5.1', 'ip:10.1.*', 'ip:>10.1.0.0', 'ip:range(10.1.0.0, 10.2.0.0)', 'ip:10', 'ip:~"\\\\.1$"', 'ip:=10.2.*', 'ip:!ipv4_range(10.0.0.0/15)',
  'user:""', 'user:*', 'user:user', 'user:user_1', 'user:user*', 'user:=user_*', 'user:in("", user_2)', 'user:!user_1 user:*', 'user:len_range(0,0)',
  'trace:~"^0"', 'trace:0*', 'trace:>0', 'signed:<0', 'signed:>=-3000009', 'signed:="-3000009"', 'signed:-3000009', 'signed:range(-1,1)', 'signed:0', 'signed:<"-1"',
  'big:>18446744073709551000', 'big:>=18446744073709551030', 'big:=18446744073709551003', 'big:18446744073709551003', 'big:range[18446744073709551001, 18446744073709551003]',
  'due:>2026-11-10', 'due:>"2026-11-10"', 'due:<2026-11-03T00:00:00Z', 'due:2026', 'due:"2026-11-05"', 'due:2026-11-05T04:15:00.004Z', 'due:="2026-11-05T04:15:00.004Z"', 'due:range["2026-11-05T00:00:00Z", "2026-11-07T00:00:00Z")', 'due:~"T1.:15"', 'due:value_type(iso8601)',
  'method:in(GET, POST)', 'method:GET', 'method:get', 'method:i(get)', 'method:!GET', 'method:G*', 'path:/', 'path:"/"', 'path:api', 'path:"/api/v1"', 'path:"/api/v1"*', 'path:=/login', 'path:="/api"*', 'path:items', 'path:"items/17"', 'path:/api/v1/items/17', 'path:contains_all(api, 17)', 'path:contains_any(login, static)', 'path:seq(api, items)',
  'level:error', 'level:in(error,warn)', 'level:(error or warn)', 'level:!(error or warn)', 'level:>error', 'level:<=info', 'level:string_range(e, i)',
  'status:le_field(bytes)', 'status:lt_field(bytes)', 'bytes:le_field(status)', 'method:eq_field(method)', 'method:eq_field(path)', 'level:lt_field(method)', 'level:le_field(nosuch)', 'nosuch:le_field(level)', 'nosuch:eq_field(nosuch2)',
  'method:in({app="web"} status:500 | fields method)', 'user:in({app="web"} level:error | uniq by (user))', 'method:in({app="web"} level:error | fields method, path)', 'method:in({app="web"} level:error)', 'method:in(nothing | fields method)', 'path:contains_any({app="web"} status:404 | fields level)', '_msg:contains_all({app="web"} bytes:=101 | fields path)', 'user:!in({app="web"} level:error | fields user)',
  'host:node-1', 'host:"node-1"', 'host:=node-1', 'host:node*', 'app:web', 'app:w*', '{app="web",host="node-1"}', '{host=~"node-.*"}', '{host!~"node-1|x"}', '{host!="node-1"}', '{app=~"w.b",host="node-2" or app="odd"}', '{app in (web, odd)}', '{host not_in (node-1)}', '{app=web}', '{"app"="web"}', '{app="web"} {host="node-2"}', '{app="web",}', '{nosuch=""}', '{nosuch!=""}', '{host=""}', '{host=~".+"}', '{host=~""}', '{app=~"we"}', '{app="web" host="node-1"}', '{app~"web"}', '{app="web"', '{app="we\\x62"}', '_stream:{host="node-1"} level:error', 'level:{app="web"}',
].map(text => `app:=web ${text} | stats count() c, sum(bytes) b, min(_time) first`)

/** Filters of odd fields. */
const odd = [
  '"odd name":space', '"odd name":*', "'odd name':~x", '`odd name`:="x\\"y"', 'odd name:space', 'a.b:dot', '"a.b":dot', 'a.b:line', '"c:d":colon', 'c:d:colon', '"e=f":equals', 'e=f:equals', 'ключ:значение', '"ключ":знач*', 'nested.x.y:1', 'nested.w:deep', 'nested:*', 'nested.x.z:"[1,2]"', 'nested.x.z:1',
  'v:>1KiB', 'v:>=1KiB', 'v:<2K', 'v:1024', 'v:>1GiB', 'v:"1.5GiB"', 'u:>1h', 'u:<=90m', 'u:range(1ms,1h)', 'u:>=1d', 't:<0', 't:<0s', 't:>1s', 't:1w', 's:0.5', 's:>=0.5', 's:<1', 's:5', 's:=.5', 's:+5', 's:007', 's:7', 'r:1e3', 'r:>100', 'r:<0', 'r:inf', 'r:NaN', 'r:nan', 'r:>=Inf', 'r:-inf', 'v:0x1F', 'v:31', 'v:>30', 'w:>=3', 'w:=3', 'w:<abc', 'v:>a1', 'v:a1*',
  'v:true', 'w:false', 'u:""', 't:two', 's.only:object', 'r:0', 't:"[1,\\"two\\",null]"', 'v:>2026-11-28', 'v:2026-11-28', 'w:"2026-11-28T16:47:37Z"', 'v:range["2026-11-28T16:00:00Z", "2026-11-28T17:00:00Z"]', 'v:<-1', 'v:=-9223372036854775808', 'w:>=9223372036854775807', 'u:>18446744073709551614', 't:18446744073709551616', 's:1_000', 's:1000', 's:>999', 'r:>1e19',
  'v:eq_field(w)', 'v:eq_field(u)', 'v:lt_field(t)', 'v:le_field(w)', 'u:lt_field(t)', 's:eq_field(t)', 'v:<=v1.9', 'v:v1', 'v:v1.10', 'v:1.10.2', 'u:ipv4_range(10.0.0.0/24)', 't:ipv4_range(10.0.0.9, 10.0.0.10)', 's:ipv4_range(192.168.0.0/16)', 'r:ipv4_range(0.0.0.0, 255.255.255.255)', 'u:>10.0.0.9', '{host="h\\"1\\\\"}', '{host=~`h"0\\\\`}', 'host:h', 'host:~`\\\\`',
].map(text => `app:=odd ${text} | fields n`)

/** Filters of the time, over entries a nanosecond apart. */
const exact = ['[@30m@, @30m@]', '[@30m+0ns@, @30m+0ns@]', '(@30m@, @30m+2ns@]', '(@30m+1ns@, @30m+1us@)', '[@30m+1ns@, @30m+999ns@]', '(@30m+1ns@, @30m+999ns@]', '[@30m+1ns@, @30m+999ns@)', '(@30m+1ns@, @30m+999ns@)', '@30m+1ns@', '=@30m+1ns@', '@30m+111ms@', '=@30m+222ms@', '[@30m+111ms@, @30m+222ms@]', '(@30m+111ms@, @30m+222ms@]', '[@30m+111ms@, @30m+222ms@)', '>@30m+222ms@', '>=@30m+222ms@', '<@30m+222ms@', '<=@30m+222ms@', '<=@30m+0ns@', '<@30m+0ns@', '>@30m+0ns@', '>@30m@', '<=@30m@', '@30m@', '<@29m@', '<=@29m@', '>=@29m@', '[@30m@, @29m@]', '[@30m@, @29m@)', '(@30m@, @29m@)', '[@30m@ , @29m@ ) offset -1m', '[@29m@,@28m@) offset 1m', '[@31m@, now]', '[@31m@, now)', '>1h', '<1h', '>=29m', '<=29m', '29m', '1h', '1h offset 29m', '1h30m', '1h offset 1d', '=1h', '-1h', 'offset 29m', '1d', '1w', '2y', '0s', '[now-1h, now]', '[-1h, now]', '[now-31m, now-29m]', '[1h, 5m]', '1e3s', '5x', 'abc', '""', '[@30m@', '[@30m@]', '[@30m@, @29m@', '[@29m@, @30m@]', '[2020, 2030]', '[2020-01, 2031-02-03T04]', '2020', '2019-13', '>2020', '<2020', '["@30m@", "@29m@"]', '[@30m@+00:00, @29m@+00:00]', 'day_range[00:00, 24:00]', 'day_range(00:00, 00:01)', 'day_range[00:00, 24:00) offset 2h', 'day_range[25:00, 26:00]', 'day_range[a, b]', 'week_range[Sun, Sat]', 'week_range(Mon, Fri)', 'week_range[mon, sunday] offset 1h', 'week_range[Mon]', '>@30m@ _time:<@29m+1s@', '(@30m+1ns@ or @29m+0ns@)', 'in(@30m@)'].map(text => `app:=ns _time:${text} | fields n`)

const days = ['day_range[08:00, 18:00)', 'day_range[08:00, 18:00]', 'day_range(18:00, 08:00)', 'day_range[06:30, 12:45] offset 2h', 'day_range[08:00, 18:00) offset -3h30m', 'week_range[Mon, Wed]', 'week_range(Mon, Fri)', 'week_range[Fri, Mon]', 'week_range[Sat, Sun] offset 12h', 'week_range[thu, thu]', '2d', '3d offset 1d', '<2d', '>2d', '>=@2d@', '@2d@', '[@3d@, @2d@]', '(@3d@, @2d@)', '>1w', '<1w'].map(text => `app:=days _time:${text} | fields n`)

const seconds = ['[@30m.s@, @29m.s@]', '(@30m.s@, @29m.s@)', '@30m.s@', '>@30m.ms@', '@30m.ms@', '<=@30m.ms@', '@30m.us@', '[@30m.ns@, @30m.ns@]', '>=@30m.ns@', '@30m.min@', '[@30m.min@, @29m.min@]', '@1h.hour@', '@30m.hour@', '@30m.day@', '[@30m.day@, @30m.day@]', '>@30m.day@', '<=@30m.min@', '<@30m.min@', '>@30m.min@'].map(text => `app:=ns _time:${text} | fields n`)

const types = ['uint8', 'uint16', 'uint32', 'uint64', 'int64', 'float64', 'ipv4', 'iso8601', 'dict', 'const', 'string', 'nosuch'].map(type => `app:=web bytes:value_type(${type}) | count() c`)

export const filterQueries: Readonly<Record<string, readonly string[]>> = { words, bare, values, odd, time: [...exact, ...seconds], days, types }
