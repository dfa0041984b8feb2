-- A message given up at any point leaves nothing: the next one in the session is judged alone.
dofile(common)

local card = "card 4111 1111 1111 1111\r\n"
local conn = open(6, 0x1ff, 0x1fffff)
go_on(conn, mt.conninfo(conn, "client.example.lab", "192.0.2.7"), "connect")
check(mt.abort(conn), "abort before anything")
go_on(conn, mt.helo(conn, "client.example.lab"), "helo")

for at = 1, 5 do
	mt.macro(conn, SMFIC_MAIL, "i", "given-up")
	go_on(conn, mt.mailfrom(conn, "<a@example.lab>"), "mail")
	if at >= 2 then go_on(conn, mt.rcptto(conn, "<d@hold.lab>"), "rcpt") end
	if at >= 3 then header(conn, "Subject", "given up") end
	if at >= 4 then go_on(conn, mt.eoh(conn), "end of header") end
	if at >= 5 then body(conn, card) end
	check(mt.abort(conn), "abort")
end
message(conn, {"b@tagged.lab"})
content(conn, "kept", card)
passed(conn)
-- tagged.lab's rule alone: nothing of hold.lab is left
if not mt.eom_check(conn, MT_HDRCHANGE, "Subject", " [out] kept") then error("the subject is not changed") end
if mt.eom_check(conn, MT_BODYCHANGE) then error("the body is changed") end
if mt.eom_check(conn, MT_RCPTDELETE, "<b@tagged.lab>") then error("a recipient is deleted") end

-- A second one in the same session is refused, a third passes.
message(conn, {"b@partner.lab"})
content(conn, "refuseme", "Hello.\r\n")
reply(conn, SMFIR_REPLYCODE, "what the policy refuses")
message(conn, {"b@partner.lab"})
content(conn, "third", "Hello.\r\n")
passed(conn)

-- An abort after the end forgets nothing that was answered, and a hang-up in the middle of a body is the MTA's right.
check(mt.abort(conn), "abort after the end")
message(conn, {"b@partner.lab"})
header(conn, "Subject", "hung up")
go_on(conn, mt.eoh(conn), "end of header")
body(conn, "half a line")
mt.disconnect(conn, false)
