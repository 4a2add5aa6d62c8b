import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Java's own judgement of chains, for the tests: PathJudge ROOT (LEAF ISSUING)..., all PEM. For each leaf a line `LEAF crl=… ocsp=…`, with
 * `good`, or Java's reason. Lists and answers are fetched from where the certificates say.
 */
public final class PathJudge {
  public static void main(String[] args) throws Exception {
    X509Certificate root = read(args[0]);
    for (int at = 1; at < args.length; at += 2) {
      List<X509Certificate> chain = List.of(read(args[at]), read(args[at + 1]));
      String crl =
          judge(
              root,
              chain,
              EnumSet.of(
                  PKIXRevocationChecker.Option.PREFER_CRLS, PKIXRevocationChecker.Option.NO_FALLBACK));
      // The root is offline: of the issuing authority nothing can be asked.
      String ocsp =
          judge(
              root,
              chain,
              EnumSet.of(
                  PKIXRevocationChecker.Option.ONLY_END_ENTITY,
                  PKIXRevocationChecker.Option.NO_FALLBACK));
      System.out.println(args[at] + " crl=" + crl + " ocsp=" + ocsp);
    }
  }

  private static String judge(
      X509Certificate root,
      List<X509Certificate> chain,
      Set<PKIXRevocationChecker.Option> options)
      throws Exception {
    CertPath path = CertificateFactory.getInstance("X.509").generateCertPath(chain);
    CertPathValidator validator = CertPathValidator.getInstance("PKIX");
    PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
    checker.setOptions(options);
    PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
    parameters.addCertPathChecker(checker);
    try {
      validator.validate(path, parameters);
      return "good";
    } catch (CertPathValidatorException refused) {
      return String.valueOf(refused.getReason());
    }
  }

  private static X509Certificate read(String name) throws Exception {
    try (InputStream in = Files.newInputStream(Path.of(name))) {
      return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
    }
  }
}
