-- Headers and bodies in odd pieces, and what is too large. What is more than this client's buffers of 1 kB hold
-- (long header fields, long new bodies) is test_milter_protocol.py's.
dofile(common)

local conn = open(6, 0x1ff, 0x1fffff)
envelope(conn, {"b@partner.lab"})
header(conn, "Subject", "pieces")
go_on(conn, mt.eoh(conn), "end of header")
-- A card number torn into chunks of one byte, between chunks of every other length, is found and redacted.
for n = 1, 20 do body(conn, string.rep("x", n) .. "\r\n") end
local card = "card 4111 1111 1111 1111.\r\n"
for i = 1, #card do body(conn, card:sub(i, i)) end
check(mt.eom(conn), "end of message")
passed(conn)
if not mt.eom_check(conn, MT_BODYCHANGE) then error("the card was not found across chunks") end

-- As large as chunks come, and as small.
message(conn, {"b@partner.lab"})
header(conn, "Subject", "chunks")
go_on(conn, mt.eoh(conn), "end of header")
for _, n in ipairs{65535, 1, 65534, 2, 65533} do body(conn, string.rep("z", n % 70) .. string.rep("\r\n" .. string.rep("y", 68), n // 70)) end
body(conn, "\r\n")
check(mt.eom(conn), "end of message")
passed(conn)
if mt.eom_check(conn, MT_BODYCHANGE) then error("a body that stays is sent back") end

-- No header field, no body.
message(conn, {"b@partner.lab"})
go_on(conn, mt.eoh(conn), "end of an empty header")
check(mt.eom(conn), "end of nothing")
passed(conn)

-- A long value, a folded one, an empty one, one of spaces.
message(conn, {"b@partner.lab"})
header(conn, "Subject", "long")
header(conn, "X-Long", string.rep("abcdefghi ", 80))
header(conn, "X-Folded", "one\n two\n\tthree")
header(conn, "X-Empty", "")
header(conn, "X-Spaces", "   ")
go_on(conn, mt.eoh(conn), "end of header")
body(conn, "Hello.\r\n")
check(mt.eom(conn), "end of message")
passed(conn)

-- A message beyond max_size, here 1 MB: 552 at its end.
message(conn, {"b@partner.lab"})
header(conn, "Subject", "large")
go_on(conn, mt.eoh(conn), "end of header")
for i = 1, 20 do body(conn, string.rep(string.rep("0123456789", 7) .. "\r\n", 850)) end
check(mt.eom(conn), "end of message")
reply(conn, SMFIR_REPLYCODE, "too large a message")

message(conn, {"b@partner.lab"})
content(conn, "after all that", "Hello.\r\n")
passed(conn)
mt.disconnect(conn)
