# notify-reader.py SOCKET - binds the socket as a service manager does (sd_notify(3)); prints each datagram as a JSON
# string on a line of its own, after the line "bound".
import json
import socket
import sys

reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
reader.bind("\0" + name[1:] if name[0] == "@" else name)
print("bound", flush=True)
while True:
    print(json.dumps(reader.recv(4096).decode()), flush=True)
