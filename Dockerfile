# Unbuilt: no container engine was at hand when this was written.
#
#   docker build -t sallyport .
#   docker run --rm -it -v sallyport:/sallyport sallyport init /sallyport/broker --dns broker.example.com --admin anna
#   docker run -d --read-only --cap-drop ALL --security-opt no-new-privileges -p 8443:8443 -v sallyport:/sallyport sallyport
#
# Everything that changes lies in the volume: configuration, keys, data. The root file system may be read-only.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /opt/sallyport
COPY package.json package-lock.json ./
# The image brings Node 24 itself: the pinned one, an optional dependency, stays out.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
WORKDIR /opt/sallyport
COPY --from=dependencies /opt/sallyport/node_modules ./node_modules
COPY LICENSE package.json ./
COPY bin ./bin
COPY scripts/setup.mjs ./scripts/setup.mjs
COPY src ./src
RUN install -d -m 700 -o node -g node /sallyport
ENV NODE_ENV=production HOME=/nonexistent
USER node
VOLUME ["/sallyport"]
EXPOSE 8443
STOPSIGNAL SIGTERM
# Only "is it alive", over the loopback address, for which no certificate need be made out.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["node", "-e", "require('node:https').get({host:'127.0.0.1',port:8443,path:'/healthz',rejectUnauthorized:false,timeout:4000},r=>process.exit(r.statusCode===200?0:1)).on('timeout',()=>process.exit(1)).on('error',()=>process.exit(1))"]
ENTRYPOINT ["bin/sallyport"]
CMD ["serve", "--config", "/sallyport/broker/sallyport.yaml"]
