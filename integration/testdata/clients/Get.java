import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;

/** Prints what is at a URL. It knows of no proxy and of no CA. */
class Get {
    public static void main(String[] args) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) new URL(args[0]).openConnection();
        try (InputStream in = connection.getInputStream()) {
            in.transferTo(System.out);
        }
    }
}
