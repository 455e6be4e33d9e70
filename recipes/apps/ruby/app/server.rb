# A store of notes over HTTP: POST /notes with JSON, GET /notes, GET /notes/NUMBER as a page.
require "socket"
require "json"
require "erb"
require "time"
require "pstore"

PAGE = ERB.new("<h1><%= ERB::Util.html_escape(note['title']) %></h1>\n<p><%= note['at'] %></p>\n")
STORE = PStore.new(File.join(ENV.fetch("NOTES", "/tmp"), "notes.pstore"))

def answer(method, path, body)
  case [method, path]
  in ["POST", "/notes"]
    note = JSON.parse(body).slice("title").merge("at" => Time.at(0).utc.iso8601)
    number = STORE.transaction { (STORE[:notes] ||= []).push(note).length }
    [201, "application/json", JSON.generate(note.merge("number" => number))]
  in ["GET", "/notes"]
    [200, "application/json", JSON.generate(STORE.transaction(true) { STORE[:notes] || [] })]
  in ["GET", %r{\A/notes/(\d+)\z}]
    note = STORE.transaction(true) { (STORE[:notes] || [])[$1.to_i - 1] }
    note ? [200, "text/html; charset=utf-8", PAGE.result_with_hash(note: note)] : [404, "text/plain", "no such note\n"]
  else
    [404, "text/plain", "no such page\n"]
  end
rescue JSON::ParserError, NoMethodError
  [400, "text/plain", "not a note\n"]
end

server = TCPServer.new("0.0.0.0", 8080)
Signal.trap("TERM") { exit }
loop do
  Thread.new(server.accept) do |client|
    method, path = client.gets.to_s.split
    length = 0
    while (line = client.gets) && line != "\r\n"
      length = $1.to_i if line =~ /\Acontent-length:\s*(\d+)/i
    end
    status, type, text = answer(method, path, client.read(length).to_s.force_encoding("UTF-8"))
    client.write("HTTP/1.0 #{status} -\r\nContent-Type: #{type}\r\nContent-Length: #{text.bytesize}\r\n\r\n#{text}")
  rescue SystemCallError, IOError
    # Who asked has gone.
  ensure
    client.close
  end
end
