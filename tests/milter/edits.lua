-- What is asked of the MTA for each of the policy's actions, field by field.
dofile(common)

local card = "card 4111 1111 1111 1111\r\n"
local conn = open(6, 0x1ff, 0x1fffff)
envelope(conn, {"b@partner.lab", "c@tagged.lab", "d@hold.lab"})
content(conn, "each", card)
passed(conn)
if not mt.eom_check(conn, MT_BODYCHANGE, "card **** **** **** ****\r\n") then error("the first one's text is not redacted") end
for _, gone in ipairs{"<c@tagged.lab>", "<d@hold.lab>"} do
	if not mt.eom_check(conn, MT_RCPTDELETE, gone) then error(gone .. " is not deleted") end
end
if mt.eom_check(conn, MT_RCPTDELETE, "<b@partner.lab>") then error("the first one is deleted") end
if mt.eom_check(conn, MT_RCPTADD, "<b@partner.lab>") then error("a recipient is added") end
if mt.eom_check(conn, MT_QUARANTINE) then error("the MTA's quarantine is used") end

message(conn, {"d@hold.lab"})
content(conn, "held", card)
reply(conn, SMFIR_DISCARD, "what is held")

message(conn, {"c@tagged.lab"})
content(conn, "tag", "Hello.\r\n")
passed(conn)
if mt.eom_check(conn, MT_BODYCHANGE) then error("a body that stays is sent back") end
if not mt.eom_check(conn, MT_HDRINSERT, "X-Seen") then error("no X-Seen") end
if mt.getheader(conn, "X-Seen", 0):gsub("^ ", "") ~= "yes" then error("X-Seen: " .. mt.getheader(conn, "X-Seen", 0)) end

-- A sender nobody can be, a recipient nobody can be: refused, and the rest goes on.
mt.macro(conn, SMFIC_MAIL, "i", "queue-2")
check(mt.mailfrom(conn, "<a\tb@example.lab>"), "mail")
reply(conn, SMFIR_REPLYCODE, "a sender with a tab")
go_on(conn, mt.mailfrom(conn, "<>"), "null sender")
check(mt.rcptto(conn, "<b\t@partner.lab>"), "rcpt")
reply(conn, SMFIR_REPLYCODE, "a recipient with a tab")
go_on(conn, mt.rcptto(conn, "<b@partner.lab>"), "rcpt")
content(conn, "a bounce", "Hello.\r\n")
passed(conn)
mt.disconnect(conn)
