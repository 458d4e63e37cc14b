package org.example;

import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

/** Relate Mail's developers' mode in a container: every recipient and every login is valid. */
public final class RelateContainer extends GenericContainer<RelateContainer> {
    private static final int SMTP = 2587;
    private static final int API = 8080;

    public RelateContainer() {
        super(DockerImageName.parse("relate-mail/relate:0.1.0"));
        withCommand("dev", "--json");
        withExposedPorts(SMTP, 2143, 2110, API);
        waitingFor(Wait.forHttp("/healthz/ready").forPort(API));
    }

    public int smtpPort() {
        return getMappedPort(SMTP);
    }

    public String apiUrl() {
        return "http://" + getHost() + ":" + getMappedPort(API);
    }
}
