import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneId;
import java.util.HexFormat;
import java.util.concurrent.Executors;
import javax.net.ssl.SSLContext;

/** Calculates over HTTP: /prime/NUMBER, /sha256 of what is posted, /time/ZONE at the epoch, /tls. */
public final class Server {
    private Server() {}

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", 8080), 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", Server::answer);
        server.start();
    }

    private static void answer(HttpExchange exchange) throws IOException {
        int status = 200;
        String text;
        try {
            text = calculate(exchange.getRequestURI().getPath(), exchange.getRequestBody().readAllBytes());
        } catch (GeneralSecurityException | RuntimeException error) {
            status = 400;
            text = error.toString();
        }
        byte[] bytes = (text + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    private static String calculate(String path, byte[] body) throws GeneralSecurityException {
        String[] parts = path.substring(1).split("/", 2);
        return switch (parts[0]) {
            case "prime" -> new BigInteger(parts[1]).nextProbablePrime().toString();
            case "sha256" -> HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
            case "time" -> Instant.EPOCH.atZone(ZoneId.of(parts[1])).toString();
            case "tls" -> String.join(" ", SSLContext.getDefault().getSupportedSSLParameters().getProtocols());
            default -> throw new IllegalArgumentException("nothing at " + path);
        };
    }
}
