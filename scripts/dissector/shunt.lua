-- shunt.lua - shows the redirection header in Wireshark and tshark (docs/protocol.md).
--
--   tshark -X lua_script:scripts/dissector/shunt.lua -r capture.pcap -O shunt
--   or copy it to Wireshark's folder of personal Lua plugins
--
-- Wireshark 4.0's Geneve dissector has no table that an option could be registered in, and no name. So this one takes
-- the tunnel's port, lets the dissector that was there do its work (inner packet included), and adds a tree for our
-- option after it. Control datagrams, and RSTs that carry one, come from a service's own port, which another dissector
-- claims before any heuristic is asked; so a post-dissector looks for their cookie.
--
-- Must never: raise a Lua error on any bytes. What a server would refuse is shown as expert info, with its reason.

local CLASS, TYPE, COOKIE = 0xff17, 0x81, 0xff53484e

local shunt = Proto("shunt", "Shunt Redirection Header")

local types = {
	[1] = "capability", [2] = "forward", [3] = "redirect", [4] = "failure", [5] = "probe", [6] = "probe-ack", [7] = "revoke",
}

local f = {
	version = ProtoField.uint8("shunt.version", "Version", base.DEC, nil, 0xf0),
	type = ProtoField.uint8("shunt.type", "Type", base.DEC, types, 0x0f),
	flags = ProtoField.uint8("shunt.flags", "Flags", base.HEX),
	redirect = ProtoField.bool("shunt.flags.redirect", "R, the client is expected to redirect itself", 8, nil, 0x80),
	permanent = ProtoField.bool("shunt.flags.permanent", "P, permanent", 8, nil, 0x40),
	once = ProtoField.bool("shunt.flags.once", "O, once", 8, nil, 0x20),
	leased = ProtoField.bool("shunt.flags.leased", "L, leased", 8, nil, 0x10),
	failure = ProtoField.bool("shunt.flags.failure", "F, failure indication", 8, nil, 0x08),
	packet = ProtoField.bool("shunt.flags.packet", "X, the original packet follows", 8, nil, 0x04),
	ipv6 = ProtoField.bool("shunt.flags.ipv6", "V, IPv6 service address", 8, nil, 0x02),
	alternative = ProtoField.bool("shunt.flags.alternative", "A, one alternative follows", 8, nil, 0x01),
	port = ProtoField.uint16("shunt.port", "Service port", base.DEC),
	lease = ProtoField.uint16("shunt.lease", "Lease, seconds", base.DEC),
	hops = ProtoField.uint8("shunt.hops", "Hops", base.DEC),
	key = ProtoField.uint8("shunt.key", "Key id", base.DEC),
	issued = ProtoField.absolute_time("shunt.issued", "Issued", base.UTC),
	issued_s = ProtoField.uint32("shunt.issued_s", "Issued, seconds since 1970", base.DEC),
	nonce = ProtoField.uint64("shunt.nonce", "Nonce", base.HEX),
	address4 = ProtoField.ipv4("shunt.address", "Service address"),
	address6 = ProtoField.ipv6("shunt.address6", "Service address"),
	alternative4 = ProtoField.ipv4("shunt.alternative", "Alternative"),
	alternative6 = ProtoField.ipv6("shunt.alternative6", "Alternative"),
	alternative_port = ProtoField.uint16("shunt.alternative_port", "Alternative's port", base.DEC),
	reserved = ProtoField.uint16("shunt.reserved", "Reserved", base.HEX),
	tag = ProtoField.bytes("shunt.tag", "Tag"),
	reason = ProtoField.string("shunt.reason", "Refused"),
}
for _, field in pairs(f) do
	table.insert(shunt.fields, field)
end

local refused = ProtoExpert.new("shunt.refused", "Refused", expert.group.MALFORMED, expert.severity.ERROR)
shunt.experts = { refused }
shunt.prefs.port = Pref.uint("Tunnel port", 6081, "UDP port of the tunnel between servers")

local function bit(flags, mask)
	return math.floor(flags / mask) % 2 == 1
end

local function length_of(flags)
	if bit(flags, 2) then
		return bit(flags, 1) and 64 or 44
	end
	return bit(flags, 1) and 40 or 32
end

-- Flags that no header of the type may carry.
local forbidden = { 0xff, 0x04, 0x00, 0x00, 0x0c, 0x0d, 0x0d }

local function flags_wrong(kind, flags)
	local terms = (bit(flags, 64) and 1 or 0) + (bit(flags, 32) and 1 or 0) + (bit(flags, 16) and 1 or 0)
	if terms > 1 then
		return true
	end
	for power = 0, 7 do
		if bit(forbidden[kind], 2 ^ power) and bit(flags, 2 ^ power) then
			return true
		end
	end
	return kind == 4 and not bit(flags, 8)
end

-- The reason for which a header of these bytes is refused, or nil; in the order that the protocol fixes.
local function refusal(tvb)
	if tvb:len() < 4 then
		return "header_length"
	end
	local first, flags = tvb(0, 1):uint(), tvb(1, 1):uint()
	if math.floor(first / 16) ~= 1 then
		return "header_version"
	end
	local kind = first % 16
	if not types[kind] then
		return "header_type"
	end
	if flags_wrong(kind, flags) then
		return "header_flags"
	end
	local length = length_of(flags)
	if tvb:len() ~= length then
		return "header_length"
	end
	if bit(flags, 1) and tvb(length - 10, 2):uint() ~= 0 then
		return "header_flags"
	end
	if tvb(6, 1):uint() > 5 then
		return "header_hops"
	end
	if tvb(2, 2):uint() == 0 and kind ~= 1 then
		return "header_port"
	end
	if bit(flags, 1) and tvb(length - 12, 2):uint() == 0 then
		return "header_port"
	end
	return nil
end

local function add_alternative(tree, tvb, at, size, field)
	tree:add(field, tvb(at, size))
	tree:add(f.alternative_port, tvb(at + size, 2))
	tree:add(f.reserved, tvb(at + size + 2, 2))
end

-- The tree of one header, which fills tvb. Returns a line about it.
local function add_header(tvb, tree)
	local reason = refusal(tvb)
	local branch = tree:add(shunt, tvb)
	local length = tvb:len()
	if length >= 8 then
		branch:add(f.version, tvb(0, 1))
		branch:add(f.type, tvb(0, 1))
		local flags = branch:add(f.flags, tvb(1, 1))
		for _, name in ipairs({ "redirect", "permanent", "once", "leased", "failure", "packet", "ipv6", "alternative" }) do
			flags:add(f[name], tvb(1, 1))
		end
		branch:add(f.port, tvb(2, 2))
		branch:add(f.lease, tvb(4, 2))
		branch:add(f.hops, tvb(6, 1))
		branch:add(f.key, tvb(7, 1))
	end
	if reason then
		branch:append_text(", refused: " .. reason)
		branch:add(f.reason, tvb(), reason):set_generated()
		branch:add_proto_expert_info(refused, "Refused: " .. reason)
		return "refused: " .. reason
	end
	local flags = tvb(1, 1):uint()
	branch:add(f.issued, tvb(8, 4))
	branch:add(f.issued_s, tvb(8, 4))
	branch:add(f.nonce, tvb(12, 8))
	local address
	if bit(flags, 2) then
		branch:add(f.address6, tvb(20, 16))
		address = "[" .. tostring(tvb(20, 16):ipv6()) .. "]"
		if bit(flags, 1) then
			add_alternative(branch, tvb, 36, 16, f.alternative6)
		end
	else
		branch:add(f.address4, tvb(20, 4))
		address = tostring(tvb(20, 4):ipv4())
		if bit(flags, 1) then
			add_alternative(branch, tvb, 24, 4, f.alternative4)
		end
	end
	branch:add(f.tag, tvb(length - 8, 8))
	local line = types[tvb(0, 1):uint() % 16] .. " " .. address .. ":" .. tvb(2, 2):uint()
	branch:append_text(", " .. line)
	return line
end

-- Our option in a Geneve header, or nil.
local function find_option(tvb)
	if tvb:captured_len() < 8 or math.floor(tvb(0, 1):uint() / 64) ~= 0 then
		return nil
	end
	local last = math.min(8 + tvb(0, 1):uint() % 64 * 4, tvb:captured_len())
	local at = 8
	while at + 4 <= last do
		local size = tvb(at + 3, 1):uint() % 32 * 4
		if at + 4 + size > last then
			return nil
		end
		if tvb(at, 2):uint() == CLASS and tvb(at + 2, 1):uint() == TYPE then
			return at + 4, size
		end
		at = at + 4 + size
	end
	return nil
end

local udp_ports = DissectorTable.get("udp.port")
local geneve = udp_ports:get_dissector(6081)
local ip, ipv6 = Dissector.get("ip"), Dissector.get("ipv6")

function shunt.dissector(tvb, pinfo, tree)
	if geneve then
		geneve:call(tvb, pinfo, tree)
	end
	local at, size = find_option(tvb)
	if at == nil then
		return
	end
	if size == 0 then -- no bytes to mark
		local branch = tree:add(shunt, tvb(at - 4, 4))
		branch:add(f.reason, tvb(at - 4, 4), "header_length"):set_generated()
		branch:add_proto_expert_info(refused, "Refused: header_length")
		return
	end
	add_header(tvb(at, size):tvb(), tree)
end

local watcher = Proto("shunt_control", "Shunt Control Datagram")
-- Wireshark calls the data of a RST its cause.
local payloads = { Field.new("udp.payload"), Field.new("tcp.payload"), Field.new("tcp.reset_cause") }

-- `service` is the bytes behind the header that name the service: a control datagram has them, a RST does not.
local function show_control(tvb, pinfo, tree, service)
	local size = math.min(length_of(tvb(5, 1):uint()), tvb:captured_len() - 4)
	local header = tvb(4, size):tvb()
	pinfo.cols.protocol = "Shunt"
	pinfo.cols.info = add_header(header, tree)
	if refusal(header) == nil and bit(tvb(5, 1):uint(), 4) and tvb:captured_len() > 4 + size + service then
		local packet = tvb(4 + size + service):tvb()
		local inner = math.floor(packet(0, 1):uint() / 16) == 6 and ipv6 or ip
		inner:call(packet, pinfo, tree)
	end
end

function watcher.dissector(_, pinfo, tree)
	for i, payload in ipairs(payloads) do
		for _, field in ipairs({ payload() }) do
			local tvb = field.range:tvb()
			if tvb:captured_len() >= 8 and tvb(0, 4):uint() == COOKIE then
				show_control(tvb, pinfo, tree, i == 1 and 20 or 0)
				return
			end
		end
	end
end
register_postdissector(watcher)

local registered -- the port taken, as the preference last had it
local function take_port()
	if registered then
		udp_ports:remove(registered, shunt)
		if registered == 6081 and geneve then
			udp_ports:add(6081, geneve)
		end
	end
	registered = shunt.prefs.port
	udp_ports:add(registered, shunt)
end
take_port()
shunt.prefs_changed = take_port
