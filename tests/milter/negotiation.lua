-- Each version, each option an MTA may or may not offer; what we ask for is offered, and what is not offered we do without.
dofile(common)

-- mfapi.h
local NR_HDR, NOUNKNOWN, NODATA, NR_UNKN, NR_BODY, LEADSPC = 0x80, 0x100, 0x200, 0x20000, 0x80000, 0x100000
local all = 0x1fffff

for version = 2, 6 do
	for _, steps in ipairs{0, NR_HDR, NR_BODY, NOUNKNOWN, NODATA, NR_UNKN, LEADSPC, NR_HDR + NR_BODY, all} do
		local conn = open(version, 0x1ff, steps)
		local asked = 0
		for _, s in ipairs{NR_HDR, NOUNKNOWN, NODATA, NR_UNKN, NR_BODY, LEADSPC} do
			local offered = math.floor(steps / s) % 2 == 1
			if mt.test_option(conn, s) and not offered then error(string.format("asked for %x of %x", s, steps)) end
			if mt.test_option(conn, s) then asked = asked + s end
		end
		if asked ~= steps % (all + 1) and steps ~= all then error(string.format("took %x of %x", asked, steps)) end
		-- Steps we need are never refused.
		for _, s in ipairs{0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40} do
			if mt.test_option(conn, s) then error(string.format("wants to go without %x", s)) end
		end
		for _, a in ipairs{0x1, 0x2, 0x8, 0x10} do
			if not mt.test_action(conn, a) then error(string.format("does not want action %x", a)) end
		end
		for _, a in ipairs{0x4, 0x20, 0x40, 0x80, 0x100} do
			if mt.test_action(conn, a) then error(string.format("wants action %x", a)) end
		end
		envelope(conn, {"b@partner.lab"})
		content(conn, "v" .. version, "Hello.\r\n")
		passed(conn)
		mt.disconnect(conn)
	end
end

-- What cannot be worked with is hung up on: the MTA then does what its default action says.
for _, bad in ipairs{{1, 0x1ff, all}, {6, 0x1fe, all}, {6, 0x1fd, all}, {6, 0x1f7, all}, {6, 0x1ef, all}, {6, 0, all}} do
	local conn = open()
	if negotiate(conn, bad[1], bad[2], bad[3]) == nil then
		error(string.format("version %d with actions %x was taken", bad[1], bad[2]))
	end
	mt.disconnect(conn, false)
end
