//! The groups of well-known artifacts: for archives that name their artifact alone.
//!
//! Facts of the public Maven repositories, written by hand: artifacts that many images hold, that advisories were
//! published for, or whose bundle's name leads astray. Only names that one project alone is known by stand here.

/// The group of an artifact, where there is no doubt. An empty version is as good as the newest.
pub(super) fn of(artifact: &str, version: &str) -> Option<&'static str> {
    let earlier = EARLIER.iter().find(|(_, before, artifacts)| {
        artifacts.split(' ').any(|known| known == artifact) && release(version).is_some_and(|release| release < *before)
    });
    if let Some((group, ..)) = earlier {
        return Some(group);
    }
    // `kafka_2.12`: Scala's artifacts carry the version of the language.
    let plain = artifact.rsplit_once('_').filter(|(_, scala)| scala.starts_with(['2', '3'])).map(|(plain, _)| plain);
    if let Some(plain) = plain
        && SPARK.split(' ').any(|known| known == plain)
    {
        return Some("org.apache.spark");
    }
    [Some(artifact), plain].into_iter().flatten().find_map(|artifact| {
        let is_here = |artifacts: &str| artifacts.split(' ').any(|known| known == artifact);
        // Vendors' parts of Spring Cloud changed their groups, each at its own time.
        if VENDORS.iter().any(|prefix| artifact.starts_with(prefix)) {
            return None;
        }
        let by_name = GROUPS.iter().find(|(_, artifacts)| is_here(artifacts)).map(|(group, _)| *group);
        by_name.or_else(|| PREFIXES.iter().find(|(_, prefix)| artifact.starts_with(prefix)).map(|(group, _)| *group))
    })
}

/// The first two numbers of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|other: char| !other.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

/// Groups that artifacts were published under before a release, by its first two numbers.
const EARLIER: &[(&str, (u32, u32), &str)] = &[
    ("asm", (4, 0), "asm asm-all asm-analysis asm-commons asm-tree asm-util asm-xml"),
    ("com.esotericsoftware.kryo", (3, 0), "kryo"),
    ("com.jcraft", (0, 2), "jsch"),
    ("com.squareup.okhttp", (3, 0), "okhttp"),
    ("com.sun.jersey", (2, 0), "jersey-client jersey-server"),
    ("dom4j", (2, 0), "dom4j"),
    ("javassist", (3, 13), "javassist"),
    ("net.jpountz.lz4", (1, 4), "lz4"),
    ("net.sf.ehcache", (3, 0), "ehcache"),
    ("org.codehaus.groovy", (4, 0), "groovy groovy-all groovy-json groovy-xml groovy-templates groovy-sql"),
    ("org.hibernate", (6, 0), "hibernate-core hibernate-validator"),
    ("org.jboss.netty", (3, 3), "netty"),
    ("org.mortbay.jetty", (7, 0), "jetty jetty-util jetty-client"),
    ("postgresql", (9, 2), "postgresql"),
];

/// Apache Spark's artifacts, which carry Scala's version: `spark-core` without one is another project's.
const SPARK: &str = "spark-avro spark-catalyst spark-common-utils spark-connect spark-core spark-graphx spark-hive \
     spark-hive-thriftserver spark-kubernetes spark-kvstore spark-launcher spark-mesos spark-mllib spark-mllib-local \
     spark-network-common spark-network-shuffle spark-network-yarn spark-repl spark-sketch spark-sql spark-sql-api \
     spark-sql-kafka-0-10 spark-streaming spark-streaming-kafka-0-10 spark-tags spark-token-provider-kafka-0-10 \
     spark-unsafe spark-yarn";

/// Groups, each with its artifacts.
const GROUPS: &[(&str, &str)] = &[
    ("antlr", "antlr"),
    ("aopalliance", "aopalliance"),
    ("axis", "axis"),
    ("cglib", "cglib cglib-nodep"),
    ("ch.qos.logback", "logback-core logback-classic logback-access"),
    ("com.alibaba", "fastjson druid"),
    ("com.esotericsoftware", "kryo kryo-shaded minlog reflectasm"),
    ("com.fasterxml.jackson.core", "jackson-core jackson-databind jackson-annotations"),
    ("com.fasterxml.jackson.module", "jackson-module-scala jackson-module-paranamer jackson-module-parameter-names"),
    ("com.fasterxml.woodstox", "woodstox-core"),
    ("com.github.luben", "zstd-jni"),
    ("com.github.mwiede", "jsch"),
    ("com.github.pjfanning", "jackson-scala-reflect-extensions"),
    ("com.google.code.findbugs", "jsr305"),
    ("com.google.code.gson", "gson"),
    ("com.google.guava", "guava failureaccess"),
    ("com.google.protobuf", "protobuf-java protobuf-java-util protobuf-javalite"),
    ("com.h2database", "h2"),
    ("com.mchange", "c3p0 mchange-commons-java"),
    ("com.mysql", "mysql-connector-j"),
    ("com.squareup.okhttp3", "okhttp"),
    ("com.squareup.okio", "okio"),
    ("com.thoughtworks.paranamer", "paranamer"),
    ("com.thoughtworks.xstream", "xstream"),
    ("com.twitter", "chill chill-java"),
    ("com.typesafe.akka", "akka-actor akka-http akka-http-core akka-stream"),
    ("com.typesafe.scala-logging", "scala-logging"),
    ("com.zaxxer", "HikariCP"),
    ("commons-beanutils", "commons-beanutils"),
    ("commons-chain", "commons-chain"),
    ("commons-cli", "commons-cli"),
    ("commons-codec", "commons-codec"),
    ("commons-collections", "commons-collections"),
    ("commons-configuration", "commons-configuration"),
    ("commons-daemon", "commons-daemon"),
    ("commons-dbcp", "commons-dbcp"),
    ("commons-digester", "commons-digester"),
    ("commons-el", "commons-el"),
    ("commons-fileupload", "commons-fileupload"),
    ("commons-httpclient", "commons-httpclient"),
    ("commons-io", "commons-io"),
    ("commons-jxpath", "commons-jxpath"),
    ("commons-lang", "commons-lang"),
    ("commons-logging", "commons-logging"),
    ("commons-net", "commons-net"),
    ("commons-pool", "commons-pool"),
    ("commons-validator", "commons-validator"),
    ("org.dom4j", "dom4j"),
    (
        "io.netty",
        "netty-all netty-buffer netty-codec netty-codec-http netty-codec-http2 netty-common netty-handler \
     netty-handler-proxy netty-resolver netty-resolver-dns netty-transport netty-transport-native-epoll",
    ),
    ("io.micrometer", "micrometer-core"),
    ("io.undertow", "undertow-core undertow-servlet"),
    ("io.vertx", "vertx-core vertx-web"),
    ("javax.activation", "activation"),
    ("javax.mail", "mail"),
    ("javax.servlet", "servlet-api javax.servlet-api jstl"),
    ("javax.servlet.jsp", "jsp-api javax.servlet.jsp-api"),
    ("javax.transaction", "jta javax.transaction-api"),
    ("javax.ws.rs", "javax.ws.rs-api jsr311-api"),
    ("javax.xml.bind", "jaxb-api"),
    ("joda-time", "joda-time"),
    ("junit", "junit"),
    ("log4j", "log4j"),
    ("mysql", "mysql-connector-java"),
    ("net.java.dev.jna", "jna jna-platform"),
    ("net.minidev", "json-smart accessors-smart"),
    ("net.sf.ehcache", "ehcache-core"),
    ("net.sf.jopt-simple", "jopt-simple"),
    ("org.apache.ant", "ant ant-launcher"),
    ("org.apache.avro", "avro"),
    (
        "org.apache.commons",
        "commons-collections4 commons-compress commons-configuration2 commons-crypto commons-csv \
     commons-dbcp2 commons-email commons-exec commons-fileupload2 commons-jexl commons-lang3 commons-math commons-math3 \
     commons-pool2 commons-text commons-vfs2",
    ),
    ("org.apache.directory.api", "api-asn1-api api-util api-ldap-model"),
    ("org.apache.directory.server", "apacheds-i18n apacheds-kerberos-codec"),
    ("org.apache.hadoop", "hadoop-auth hadoop-client hadoop-common hadoop-hdfs hadoop-hdfs-client"),
    ("org.apache.hbase", "hbase-client hbase-common hbase-server"),
    ("org.apache.httpcomponents", "httpclient httpcore httpmime httpasyncclient httpcore-nio"),
    ("org.apache.httpcomponents.client5", "httpclient5"),
    ("org.apache.httpcomponents.core5", "httpcore5 httpcore5-h2"),
    ("org.apache.ivy", "ivy"),
    ("org.apache.kafka", "kafka kafka-clients kafka-streams connect-api connect-json connect-runtime"),
    (
        "org.apache.logging.log4j",
        "log4j-api log4j-core log4j-1.2-api log4j-jul log4j-slf4j-impl log4j-slf4j2-impl log4j-web",
    ),
    ("org.apache.mina", "mina-core"),
    ("org.apache.poi", "poi poi-ooxml poi-ooxml-schemas poi-scratchpad"),
    ("org.apache.santuario", "xmlsec"),
    ("org.apache.shiro", "shiro-all shiro-core shiro-spring shiro-web"),
    ("org.apache.struts", "struts2-core struts-core"),
    ("org.apache.thrift", "libthrift"),
    (
        "org.apache.tomcat",
        "tomcat-annotations-api tomcat-api tomcat-catalina tomcat-coyote tomcat-el-api tomcat-jasper \
     tomcat-jdbc tomcat-jni tomcat-jsp-api tomcat-juli tomcat-servlet-api tomcat-util tomcat-util-scan tomcat-websocket",
    ),
    ("org.apache.tomcat.embed", "tomcat-embed-core tomcat-embed-el tomcat-embed-jasper tomcat-embed-websocket"),
    ("org.apache.velocity", "velocity velocity-engine-core"),
    ("org.apache.zookeeper", "zookeeper zookeeper-jute"),
    ("org.aspectj", "aspectjrt aspectjweaver"),
    (
        "org.bouncycastle",
        "bc-fips bcmail-jdk15on bcpg-jdk15on bcpkix-fips bcpkix-jdk15on bcpkix-jdk15to18 bcpkix-jdk18on \
     bcprov-ext-jdk15on bcprov-jdk14 bcprov-jdk15 bcprov-jdk15on bcprov-jdk15to18 bcprov-jdk16 bcprov-jdk18on bctls-fips \
     bctls-jdk15on bctls-jdk18on bcutil-jdk15on bcutil-jdk18on",
    ),
    ("org.checkerframework", "checker-qual"),
    ("org.apache.groovy", "groovy groovy-all groovy-json groovy-xml groovy-templates groovy-sql"),
    ("org.codehaus.jackson", "jackson-core-asl jackson-mapper-asl jackson-jaxrs jackson-xc"),
    ("org.codehaus.jettison", "jettison"),
    ("org.codehaus.plexus", "plexus-utils"),
    ("org.ehcache", "ehcache"),
    ("org.eclipse.jgit", "org.eclipse.jgit"),
    (
        "org.eclipse.jetty",
        "jetty-client jetty-continuation jetty-http jetty-io jetty-security jetty-server jetty-servlet \
     jetty-servlets jetty-util jetty-util-ajax jetty-webapp jetty-xml",
    ),
    (
        "org.elasticsearch",
        "elasticsearch elasticsearch-cli elasticsearch-core elasticsearch-geo elasticsearch-secure-sm \
     elasticsearch-x-content",
    ),
    ("org.freemarker", "freemarker"),
    ("org.glassfish.jersey.core", "jersey-client jersey-common jersey-server"),
    ("com.sun.jersey", "jersey-core jersey-json jersey-servlet"),
    ("org.hamcrest", "hamcrest-core hamcrest-all hamcrest"),
    ("org.hibernate", "hibernate-entitymanager"),
    ("org.hibernate.orm", "hibernate-core"),
    ("org.hibernate.validator", "hibernate-validator"),
    ("org.iq80.snappy", "snappy"),
    ("org.javassist", "javassist"),
    ("org.jboss.logging", "jboss-logging"),
    ("org.jetbrains.kotlin", "kotlin-stdlib kotlin-stdlib-common kotlin-stdlib-jdk7 kotlin-stdlib-jdk8 kotlin-reflect"),
    ("org.json", "json"),
    ("org.json4s", "json4s-ast json4s-core json4s-jackson json4s-native json4s-scalap"),
    ("org.jsoup", "jsoup"),
    ("org.jruby", "jruby jruby-complete"),
    ("org.lz4", "lz4-java lz4-pure-java"),
    ("org.mindrot", "jbcrypt"),
    ("org.mortbay.jetty", "jetty-sslengine"),
    ("org.mozilla", "rhino"),
    ("org.objenesis", "objenesis"),
    ("org.ow2.asm", "asm asm-analysis asm-commons asm-tree asm-util"),
    ("org.postgresql", "postgresql"),
    ("org.projectlombok", "lombok"),
    ("org.quartz-scheduler", "quartz"),
    ("org.scala-lang", "scala-compiler scala-library scala-reflect scalap scala3-library"),
    ("org.scala-lang.modules", "scala-collection-compat scala-java8-compat scala-parser-combinators scala-xml"),
    (
        "org.slf4j",
        "slf4j-api slf4j-log4j12 slf4j-reload4j slf4j-simple slf4j-nop slf4j-jdk14 slf4j-ext jcl-over-slf4j \
     jul-to-slf4j log4j-over-slf4j",
    ),
    (
        "org.springframework",
        "spring spring-aop spring-aspects spring-beans spring-context spring-context-support \
     spring-core spring-expression spring-jcl spring-jdbc spring-jms spring-messaging spring-orm spring-oxm spring-test \
     spring-tx spring-web spring-webflux spring-webmvc spring-websocket",
    ),
    ("org.springframework.amqp", "spring-amqp spring-rabbit"),
    (
        "org.springframework.data",
        "spring-data-commons spring-data-jpa spring-data-mongodb spring-data-redis spring-data-rest-core",
    ),
    ("org.springframework.retry", "spring-retry"),
    ("org.springframework.security.oauth", "spring-security-oauth spring-security-oauth2"),
    ("org.springframework.webflow", "spring-webflow"),
    ("org.tukaani", "xz"),
    ("org.webjars", "webjars-locator webjars-locator-core"),
    ("org.xerial", "sqlite-jdbc"),
    ("org.xerial.snappy", "snappy-java"),
    ("org.yaml", "snakeyaml"),
    ("oro", "oro"),
    ("stax", "stax-api"),
    ("wsdl4j", "wsdl4j"),
    ("xalan", "xalan serializer"),
    ("xerces", "xercesImpl"),
    ("xml-apis", "xml-apis xml-apis-ext"),
    ("xmlpull", "xmlpull"),
    ("xpp3", "xpp3_min xpp3"),
];

/// Families of artifacts: a group, and what the names begin with. A family within another stands before it.
const PREFIXES: &[(&str, &str)] = &[
    ("de.codecentric", "spring-boot-admin"),
    ("org.springframework.security.kerberos", "spring-security-kerberos-"),
    ("org.apache.lucene", "lucene-"),
    ("org.springframework.boot", "spring-boot"),
    ("org.springframework.cloud", "spring-cloud-"),
    ("org.springframework.security", "spring-security-"),
];

/// Families within Spring Cloud's whose group their names do not tell.
const VENDORS: [&str; 7] = [
    "spring-cloud-alibaba",
    "spring-cloud-aws",
    "spring-cloud-azure",
    "spring-cloud-gcp",
    "spring-cloud-starter-alibaba",
    "spring-cloud-starter-aws",
    "spring-cloud-starter-azure",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn well_known_artifacts_have_a_group() {
        assert_eq!(of("log4j-core", "2.14.1"), Some("org.apache.logging.log4j"));
        assert_eq!(of("kafka_2.12", ""), Some("org.apache.kafka"));
        assert_eq!(of("spring-boot-starter-web", "3.0"), Some("org.springframework.boot"));
        assert_eq!(of("log4j-cor", "1"), None);
        for (artifact, version, group) in [
            ("spark-core_2.12", "3.1.0", Some("org.apache.spark")),
            ("spark-core", "2.9.4", None),
            ("spark-cassandra-connector_2.12", "3.0.0", None),
            ("spring-boot-admin-server", "2.5.2", Some("de.codecentric")),
            ("spring-cloud-azure-core", "4.0.0", None),
            ("spring-cloud-function-context", "3.2.2", Some("org.springframework.cloud")),
            ("spring-security-oauth2", "2.3.3", Some("org.springframework.security.oauth")),
            ("spring-security-oauth2-client", "5.2.0", Some("org.springframework.security")),
            ("okhttp", "2.7.5", Some("com.squareup.okhttp")),
            ("ehcache", "3.8.1", Some("org.ehcache")),
            ("jsch", "0.1.54", Some("com.jcraft")),
            ("postgresql", "42.2.5", Some("org.postgresql")),
        ] {
            assert_eq!(of(artifact, version), group, "{artifact} {version}");
        }
        let asm = [of("asm", "3.3"), of("asm", "9.2"), of("asm", "")];
        assert_eq!(asm, [Some("asm"), Some("org.ow2.asm"), Some("org.ow2.asm")]);
    }

    #[test]
    fn no_artifact_stands_twice() {
        let mut seen = BTreeSet::new();
        for artifact in GROUPS.iter().flat_map(|(_, artifacts)| artifacts.split(' ')) {
            assert!(seen.insert(artifact) && !artifact.is_empty(), "{artifact:?}");
        }
    }
}
